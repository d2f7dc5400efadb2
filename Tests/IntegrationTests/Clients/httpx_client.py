"""Asks the broker for a token with httpx, fifty times at once over one HTTP/2 connection, and prints it once."""
import asyncio
import ssl
import sys

import httpx

url, authority, certificate, key = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
context.load_cert_chain(certificate, key)


async def main():
    async with httpx.AsyncClient(
        http1=False, http2=True, verify=context, limits=httpx.Limits(max_connections=1)
    ) as client:
        answers = await asyncio.gather(*(client.get(url) for _ in range(50)))
    tokens = {answer.json()["access_token"] for answer in answers}
    if {answer.http_version for answer in answers} != {"HTTP/2"} or len(tokens) != 1:
        raise SystemExit(f"{len(tokens)} tokens by {[answer.http_version for answer in answers]}")
    print(tokens.pop())


asyncio.run(main())
