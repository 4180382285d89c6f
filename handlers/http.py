"""The same app as a Lambda: made once for each container, then called with one event at a time."""

import gc

# Nearly all that is made from here on stays: to look for garbage in it lengthens the start.
gc.disable()

from mangum import Mangum

from api.main import create_app
from api.settings import Settings

# Mangum would start and stop the app with every event.
handler = Mangum(create_app(Settings(), scraped=False), lifespan="off")

gc.freeze()
gc.enable()
