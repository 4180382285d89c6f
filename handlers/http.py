"""What Lambda calls: `handlers.http.handler`. Here the import is the start, once a container."""

from api import logs
from api.settings import Settings
from handlers.function import Function

# Callers of a function are never on its own machine: as on any open address, AUTH=off is refused.
settings = Settings(host="::")
logs.configure(settings)
handler = Function(settings)
