"""The same app as a Lambda: made once for each container, then called with one event at a time."""

from mangum import Mangum

from api.main import create_app
from api.settings import Settings
from api.wire import BotocoreWire

settings = Settings()
# Mangum would start and stop the app with every event.
handler = Mangum(create_app(settings, wire=BotocoreWire(settings), scraped=False), lifespan="off")
