"""Looks at the status page of a broker that has not been asked for anything, in a headless Chromium.

browser.py STATUS_URL TOKEN_URL AUDIENCE HOSTILE    asks for a token while it looks, and then for one that is not to be
                                                    had; prints what it sees, a JSON object a line, until the broker ends

Chromium is spoken to by its DevTools protocol, over a pipe, so no library is needed.
"""
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

PATIENCE = 20
status_url, token_url, audience, hostile = sys.argv[1:]


class Page:
    def __init__(self, profile):
        (commands_in, self.commands), (self.answers, answers_out) = os.pipe(), os.pipe()
        # The browser reads its third descriptor and writes to its fourth.
        descriptors = f"exec chromium \"$@\" 3<&{commands_in} 4>&{answers_out}"
        self.browser = subprocess.Popen(
            ["sh", "-c", descriptors, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(commands_in, answers_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands_in)
        os.close(answers_out)
        self.buffer, self.serial, self.session, self.complaints = b"", 0, None, []
        page = next(one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Audits"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.serial += 1
        message = {"id": self.serial, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.serial:
            self.note(answer)
        if "error" in answer:
            raise SystemExit(f"{method}: {answer['error']}")
        return answer["result"]

    def receive(self):
        while b"\0" not in self.buffer:
            if not select.select([self.answers], [], [], PATIENCE)[0]:
                raise SystemExit("the browser says nothing")
            data = os.read(self.answers, 1 << 16)
            if not data:
                raise SystemExit("the browser has ended")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def note(self, event):
        """Whatever a page without fault does not cause: violations of its policy, exceptions, what is missing."""
        kind, facts = event.get("method"), event.get("params")
        if kind in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Audits.issueAdded"):
            self.complaints.append(json.dumps(facts)[:500])

    def value(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait(self, expression):
        deadline = time.monotonic() + PATIENCE
        while not self.value(expression):
            if time.monotonic() > deadline:
                raise SystemExit(f"never true: {expression}; the page says: {self.value('document.body.innerText')}")
            # The page asks once a second, and there is no event for it.
            time.sleep(0.05)

    def look(self, width, scheme):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        return self.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def tell(**facts):
    print(json.dumps(facts), flush=True)


def ask(name):
    """Asks the broker for a token, and waits until the page shows its audience."""
    try:
        urllib.request.urlopen(f"{token_url}/{urllib.parse.quote(name, safe='')}", timeout=PATIENCE).read()
    except urllib.error.HTTPError:
        pass
    page.wait(f"[...document.querySelectorAll('#audiences .name')].some(one => one.textContent === {json.dumps(name)})")


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    page = Page(profile)
    try:
        page.call("Page.navigate", url=status_url)
        page.wait("document.querySelector('#audiences .empty') !== null")
        empty = page.value("document.getElementById('audiences').innerText")
        ask(audience)
        overflow = {f"{width} {scheme}": page.look(width, scheme) for width in (360, 1280) for scheme in ("light", "dark")}
        tell(
            empty=empty, title=page.value("document.title"), row=page.value("document.querySelector('tbody').innerText"),
            life=page.value("document.querySelector('#audiences [role=meter]').getAttribute('aria-valuenow')"),
            html=page.value("document.documentElement.outerHTML"), overflow=overflow)
        ask(hostile)
        tell(
            title=page.value("document.title"), problem=page.value("document.getElementById('problems').textContent"),
            complaints=page.complaints)
        # Whoever has started this has the tenant refuse the broker now, and take it again when that was told.
        page.wait("document.querySelector('[data-try]') !== null")
        page.value("document.querySelector('[data-try]').click()")
        page.wait("document.querySelector('.try [role=status]')?.innerText.includes('broker_misconfigured')")
        tell(tried=page.value("document.getElementById('problems').innerText"))
        page.wait('''(() => {
            document.querySelector('[data-try]:not(:disabled)')?.click();
            return document.getElementById('headline').innerText.startsWith('Healthy');
        })()''')
        tell(mended=page.value("document.getElementById('problems').innerText"), complaints=page.complaints)
        page.wait("document.getElementById('headline').innerText.includes('Out of reach')")
        tell(rows=page.value("document.getElementById('audiences').innerText"))
    finally:
        page.browser.terminate()
        page.browser.wait(PATIENCE)
