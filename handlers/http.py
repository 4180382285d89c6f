"""What Lambda calls: `handlers.http.handler`. Here the import is the start, once a container."""

import gc

# Nearly all that is made from here on stays: to look for garbage in it lengthens the start.
gc.disable()

from api import logs
from api.settings import Settings
from handlers.function import Function

# Callers of a function are never on its own machine: as on any open address, AUTH=off is refused.
settings = Settings(host="::")
logs.configure(settings)
handler = Function(settings)

gc.freeze()
gc.enable()
