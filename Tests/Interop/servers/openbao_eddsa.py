"""OpenBao again, with a key for EdDSA."""

import functools

from servers import openbao
from tenant import Expectation

NAME = f"{openbao.NAME} with EdDSA"
EXPECTED = Expectation(
    kind="EdDSA",
    lifetime=86400,
    wrong_secret=openbao.EXPECTED.wrong_secret,
    scopes={},
    methods={},
)
serve = functools.partial(openbao.serve, algorithm="EdDSA")
