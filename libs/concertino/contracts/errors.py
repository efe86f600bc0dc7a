"""Every error that Concertino raises on purpose: one tree, whose types say whose fault it is and whether to try again.

::

    ConcertinoError
    ├── Invalid            the caller must change something; trying again cannot help
    │   ├── InvalidMessage      not JSON, wrong types, or a value outside its range
    │   ├── UnknownSchema       a message of a type that does not belong there
    │   ├── MessageTooLarge     over 512 KiB in one message
    │   ├── InvalidId           an id that cannot stand in a subject
    │   ├── InvalidPlan         a cycle, an unknown kind, too many subtasks, ...
    │   ├── TaskExists          the id names another task already
    │   ├── TaskNotFound        no task of that id on this bus
    │   ├── CannotRedrive       the task is not over, or nothing of it failed
    │   ├── BadSetting          an environment variable or option that does not parse
    │   ├── SourceError         a source that does not exist, may not be read, or cannot be read
    │   └── ModelRejected       the model's API does not take the request: key, model's name, size
    ├── Refused            a rule of the installation or a limit of the task forbids it
    │   ├── LimitReached        what the brief allows is used up
    │   ├── BudgetSpent         what the task may spend on models is used up
    │   ├── QueuedTooLong       nobody began it in the time that the task gives its queue
    │   ├── NothingNew          research goes in circles
    │   ├── QuoteNotSeen        a quote that is in nothing the worker has read
    │   └── ModelRefused        the model declines to answer
    ├── Finished           the caller asked to finish: what there is counts
    ├── Unfit              a handler, or an adapter of a model, returned what no reader accepts
    ├── Unusable           the model answered, and not so that it can be used
    ├── Transient          the world was at fault; the same call may succeed later
    │   ├── BusUnavailable      no server, or no answer in time
    │   ├── DeadlineExceeded    the time was up
    │   ├── QueueFull           a queue has as much work as it may hold
    │   └── ModelUnavailable    overloaded, out of quota for now, failing, silent, or cut off in mid-stream
    │       └── LedgerUnavailable   what the task has spent cannot be read or written, so no model is called
    └── Cancelled          the caller asked to stop

``error.code`` is stable and goes over the wire (:class:`concertino.contracts.messages.Failure`); ``str(error)`` says what
happened and what to do about it.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

Category: TypeAlias = Literal["transient", "overloaded", "invalid", "refused", "bug"]
"""How errors are told apart where it is decided whether to try again: see :func:`category`."""


class ConcertinoError(Exception):
    """The root. ``code`` is stable; ``retryable`` says whether the same work may succeed if tried again."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False


class Invalid(ConcertinoError):
    """What was asked cannot be done as asked. Change it and ask again."""

    code = "invalid"


class InvalidMessage(Invalid):
    """A payload that is not JSON, has a field of the wrong type, or a value outside its range."""

    code = "invalid_message"


class UnknownSchema(Invalid):
    """The header ``Ctn-Schema`` names a type that does not belong where the message stands."""

    code = "unknown_schema"


class MessageTooLarge(Invalid):
    """More than 512 KiB in one message. Put the material into a source and name it in the task."""

    code = "message_too_large"


class InvalidId(Invalid):
    """An id is 1 to 64 letters, digits, ``_`` or ``-``: it stands as one token in a subject."""

    code = "invalid_id"


class InvalidPlan(Invalid):
    """The plan cannot be run as it is: the text names every reason."""

    code = "invalid_plan"


class TaskExists(Invalid):
    """Another task was submitted under this id. Take a new id, or none: the client makes one."""

    code = "task_exists"


class TaskNotFound(Invalid):
    """No task of that id is in the log: mistyped, on another bus, or older than the log keeps."""

    code = "task_not_found"


class CannotRedrive(Invalid):
    """The task is not over, or has no failed work: the text says what to do."""

    code = "cannot_redrive"


class BadSetting(Invalid):
    """A setting that does not parse. The text names the environment variable or option and what it takes."""

    code = "bad_setting"


class SourceError(Invalid):
    """A source that does not exist, may not be read, cannot be cloned or fetched, or holds nothing readable."""

    code = "source"


class ModelRejected(Invalid):
    """The model's API does not take the request: a wrong key, a model that does not exist, or a request that is too large."""

    code = "model_rejected"


class Refused(ConcertinoError):
    """A rule of this installation, or a limit of the task, forbids it."""

    code = "refused"


class LimitReached(Refused):
    """What the brief allows of it is used up. Go on with what there is."""

    code = "limit"


class BudgetSpent(Refused):
    """What the task may spend on models is used up. Allow it more (``max_tokens``, ``max_cost``), or do with what there is."""

    code = "budget"


class QueuedTooLong(Refused):
    """Nobody began it within the time that the task allows (``max_queued``). Allow it more, or see that there are workers."""

    code = "queued_too_long"


class NothingNew(Refused):
    """Turn after turn brought nothing that had not been read before. Ask for something else, or name other sources."""

    code = "nothing_new"


class QuoteNotSeen(Refused):
    """The quote stands in nothing that this worker has read, so it cannot be evidence."""

    code = "quote_not_seen"


class ModelRefused(Refused):
    """The model declines to answer this, and so does the model to fall back on. Put the request differently."""

    code = "model_refused"


class Finished(ConcertinoError):
    """The caller asked to finish before it was done. Submit it again, if more is wanted than there was by then."""

    code = "finished"


class Unfit(ConcertinoError, TypeError):
    """A handler, or the adapter of a model, returned what no reader accepts. Mend it: the same would come of it again."""

    code = "bug"


class Unusable(ConcertinoError):
    """The model's answer was cut off, or was not in the form asked for when it was asked again."""

    code = "unusable_answer"


class Transient(ConcertinoError):
    """Not the caller's fault and not for ever: try again, later: in ``after`` seconds, where that is known."""

    code = "transient"
    retryable = True

    def __init__(self, text: str = "", *, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after


class BusUnavailable(Transient):
    """No NATS server answers at that address, or it did not answer in time. Is it running, with JetStream on?"""

    code = "bus_unavailable"


class DeadlineExceeded(Transient):
    """The time given was up before the work was done."""

    code = "deadline"


class QueueFull(Transient):
    """A queue holds as much work as it may. Nothing was stored: try again, in ``after`` seconds."""

    code = "queue_full"


class ModelUnavailable(Transient):
    """The model's API is overloaded, limits the rate, fails, does not answer in time, or breaks off in mid-stream."""

    code = "model_unavailable"


class LedgerUnavailable(ModelUnavailable):
    """The ledger of a task with a budget cannot be read or written. No model is called then: is the bucket ``ctn_budget``
    provisioned?"""

    code = "ledger_unavailable"


class Cancelled(ConcertinoError):
    """The task was cancelled, or has its outcome already."""

    code = "cancelled"


def category(error: BaseException) -> Category:
    """What kind of fault ``error`` is: of the world, for now (``transient``) or because it is asked for too much
    (``overloaded``); of whoever asked (``invalid``); a rule or a limit (``refused``); or nobody's who foresaw it (``bug``)."""
    match error:
        case LedgerUnavailable():
            return "transient"
        case ModelUnavailable():
            return "overloaded"
        case ConcertinoError(retryable=True):
            return "transient"
        case Invalid():
            return "invalid"
        case ConcertinoError():
            return "refused"
    return "bug"
