from backend.core.errors import ChatSphereError, NotFound


class ModelNotOffered(NotFound):
    """This deployment offers no model of that id or name; GET gateway/models/ lists those it does."""

    code = "model_not_offered"


class DimensionsFixed(ChatSphereError):
    """An embedding's vectors have the number of dimensions that its id says."""

    code = "dimensions_fixed"
