"""The entry point for Lambda, `handlers.http.handler`; this import is the cold start."""

import gc

# Nearly everything that is created from here on lives as long as the process.
gc.disable()

from api import logs
from api.settings import Settings
from handlers.function import Function

# A function is reachable from other machines, so settings must refuse AUTH=off.
settings = Settings(host="::")
logs.configure(settings)
handler = Function(settings)

gc.freeze()
gc.enable()
