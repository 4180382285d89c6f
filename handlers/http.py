"""What Lambda calls: `handlers.http.handler`. Here the import is the start, once a container."""

import gc
import os

from handlers import unread

# Nearly all that is made from here on stays: to look for garbage in it lengthens the start.
gc.disable()
# The package has no plugin of pydantic's; to look for one is to read the metadata of all of it.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
unread.leave_out_manual()

from api import logs
from api.settings import Settings
from handlers.function import Function

# Callers of a function are never on its own machine: as on any open address, AUTH=off is refused.
settings = Settings(host="::")
logs.configure(settings)
handler = Function(settings)

gc.freeze()
gc.enable()
