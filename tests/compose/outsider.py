"""Somebody with another account on the machine, who has nothing but the published ports."""

import contextlib
import json
import os
import pwd
import socket
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

_ACCOUNT = "nobody"


def ask(question: Callable[[], Any]) -> Any:
    """What `question` answers (anything JSON can say) in a process of that account; where the tests are not root's, of their own.

    A fork and no new program: the account may not read the interpreter's files. So what `question` needs must be imported before.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(question, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    assert text, "the process of the other account ended without a word"
    answer = json.loads(text)
    assert "error" not in answer, answer["error"]
    return answer["answer"]


def _answer(question: Callable[[], Any], writing: int) -> NoReturn:
    try:
        if os.geteuid() == 0:
            account = pwd.getpwnam(_ACCOUNT)
            os.setgroups([])
            os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
            os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
        answer = {"answer": question()}
    except BaseException:
        answer = {"error": traceback.format_exc()}
    with os.fdopen(writing, "w") as pipe:
        json.dump(answer, pipe)
    # Nothing of pytest may run here.
    os._exit(0)


def connects(host: str, port: int, seconds: float = 2) -> bool:
    """Whether something accepts a connection there."""
    with contextlib.suppress(OSError):
        socket.create_connection((host, port), seconds).close()
        return True
    return False
