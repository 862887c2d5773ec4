from http import HTTPStatus

from backend.core.errors import ChatSphereError, Conflict, NotFound


class ToolNotFound(NotFound):
    """There is no such tool, or it is not yours."""


class ToolNameTaken(Conflict):
    """The bot has a tool of this name already, or the name is one of our own tools'."""

    code = "tool_name_taken"


class TooManyTools(Conflict):
    """The bot has as many tools as it may have."""

    code = "too_many_tools"


class ToolInvalid(ChatSphereError):
    """The tool is not declared in a way that can be called."""

    code = "tool_invalid"


class ToolListChanged(Conflict):
    """The server's tools are not those that were looked at; look again before you approve."""

    code = "tool_list_changed"


class ToolFailed(ChatSphereError):
    """The tool could not do this."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "tool_failed"


class ArgumentsInvalid(ToolFailed):
    """The arguments do not fit the tool's parameters."""

    code = "arguments_invalid"


class ToolUnapproved(ToolFailed):
    """The server's tools have changed since the owner approved them; the owner must look at them again."""

    code = "tool_unapproved"
