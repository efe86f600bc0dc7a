"""What can go wrong with one call of the API, and what is to be done about it."""

from __future__ import annotations

import math
import time
from email.utils import parsedate_to_datetime

import anthropic
import httpx2
from msgspec import Struct

from concertino.contracts.errors import (
    ConcertinoError,
    DeadlineExceeded,
    ModelRefused,
    ModelRejected,
    ModelUnavailable,
    RateLimited,
)
from concertino.contracts.rates import Wait, alone

_LONGEST = 400
"""Characters of what the API says of an error."""
_REJECTED = {
    401: "the API does not accept the key: is ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN) right, and still valid?",
    402: "the account of this key has no credit, or its limit of spending is reached: see the API's console",
    403: "this key may not do that: give it access to the model in the API's console, or configure another model (CTN_CONFIG)",
    404: "there is no such model for this key: configure another under [models] in the file that CTN_CONFIG names",
    413: "the request is larger than the API takes: give the task less material at once",
}
_TYPES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""An error in a stream that began well has the status 200: what it is, its type says."""
_NAMED = {408: "timed out", 429: "limits the rate", 500: "fails", 503: "is unavailable", 504: "timed out", 529: "is overloaded"}

LIMITED = (429, 529)
"""The statuses that say that the API is asked too much."""


class Broken(Exception):
    """An answer that ends before its end, or that makes no sense. The text says how."""


class NoApi(Exception):
    """A success that is no answer of the API, but of something in front of it. The text is its media type."""


class Declined(Exception):
    """The stop reason ``refusal``, with the API's category of what was declined, if it names one."""


class Limited(Exception):
    """A call that is not made, as it would have to ``wait`` too long for its turn."""

    def __init__(self, model: str, wait: Wait) -> None:
        limited = said_of(wait.status, model) if wait.status else f"all that the API of {model} allows is in use"
        super().__init__(f"{limited}: its next turn is in {wait.seconds:.0f} s")
        self.wait = wait

    def error(self, left: float) -> ConcertinoError:
        """What it comes to for whoever has ``left`` seconds."""
        if self.wait.away:
            return ModelUnavailable(f"{self}; it refused every call of late", after=self.wait.seconds)
        if self.wait.seconds >= left:
            return DeadlineExceeded(f"the time is up before a model may be asked: {self}")
        return RateLimited(str(self), after=self.wait.seconds)


class Fault(Struct, frozen=True):
    """``error`` is what it comes to if nothing helps."""

    error: ConcertinoError
    passes: bool = False
    """The same call may succeed a little later."""
    elsewhere: bool = False
    """Another model may do it."""
    wait: float | None = None
    """Seconds that the API asks to wait."""
    limited: int = 0
    """The HTTP status, where it says that the API is asked too much: by all together, not by this call."""

    @property
    def shared(self) -> bool:
        """Whether all wait for it together; else whoever had it waits for itself."""
        return bool(self.limited) and not alone(self.limited, self.wait)

    def after(self, tries: int) -> ConcertinoError:
        """The error that so many calls in vain come to."""
        text = f"{self.error}{f', {tries} times' if tries > 1 else ''}"
        if isinstance(self.error, ModelUnavailable):
            asks = f", and asks to be left alone for {self.wait:.0f} s" if self.wait else ""
            return ModelUnavailable(f"{text}{asks}", after=self.wait)
        return type(self.error)(text)


def fault_of(error: Exception, model: str) -> Fault | None:
    """What ``error`` of a call of ``model`` means; None for what is no fault of the API."""
    match error:
        case Declined():
            category = f" ({error})" if str(error) else ""
            return Fault(
                ModelRefused(f"{model} declines to answer this{category}: put the request differently"), elsewhere=True
            )
        case anthropic.APIStatusError():
            return _of_status(error, model)
        case anthropic.APITimeoutError() | httpx2.TimeoutException():
            return _passing(f"{model} did not answer in time", None)
        case anthropic.APIConnectionError() | httpx2.RequestError():
            return _passing(f"the connection to the API of {model} broke, or could not be made", None)
        case Broken():
            return _passing(f"the answer of {model} broke off: {error}", None)
        case NoApi():
            wrong = f"{error} came in its place, as from a proxy that wants a login: is ANTHROPIC_BASE_URL right?"
            return _passing(f"the API of {model} was not reached: {wrong}", None)
        case anthropic.AnthropicError():
            return Fault(ModelRejected(f"the API cannot be used: {_cut(str(error))}"))
        case _:
            return None


def _of_status(error: anthropic.APIStatusError, model: str) -> Fault:
    status = error.status_code
    if status < 400:
        status = _TYPES.get(error.type or "", 500)
    if status in (408, 409, 429) or status >= 500:
        return _passing(said_of(status, model), _wait(error.response.headers), status if status in LIMITED else 0)
    said = "" if status == 401 else _cut(error.api_message or "")  # what is said of a key might hold it
    do = _REJECTED.get(status, "the API does not take the request")
    text = f"{model}: {do} (HTTP {status}{': ' + said if said else ''})"
    return Fault(ModelRejected(text), elsewhere=status in (403, 404))


def free(error: Exception) -> bool:
    """Whether a call that ended so before any answer is not charged for: the API says no to it, or never heard of it."""
    never_sent = isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
    return isinstance(error, anthropic.APIStatusError | NoApi) or (
        isinstance(error, anthropic.APIConnectionError) and never_sent
    )


def too_long(error: BaseException) -> bool:
    """Whether the API says that there is more in the request than the model can hold."""
    text = str(error)
    return isinstance(error, ModelRejected) and ("HTTP 413" in text or "too long" in text)


def said_of(status: int, model: str) -> str:
    """What an HTTP ``status`` of 500 or more, or one of those below it that pass, says of the API."""
    return f"the API of {model} {_NAMED.get(status, 'fails')} (HTTP {status})"


def _passing(text: str, wait: float | None, limited: int = 0) -> Fault:
    return Fault(ModelUnavailable(text, after=wait), passes=True, elsewhere=True, wait=wait, limited=limited)


def _wait(headers: httpx2.Headers) -> float | None:
    given = headers.get("retry-after", "")
    try:
        return max(float(given), 0.0) if math.isfinite(float(given)) else None
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(given).timestamp() - time.time(), 0.0)
    except (OverflowError, TypeError, ValueError):
        return None


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
