"""FastAPI's first example under Mangum: the unit in which a cold start is measured."""

from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/v1/tasks/{task_id}")
async def hello(task_id: str) -> dict[str, str]:
    return {"hello": task_id}


handler = Mangum(app, lifespan="off")
