"""FastAPI's first steps under Mangum: what a start takes before there is anything to start."""

from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/v1/tasks/{task_id}")
async def hello(task_id: str) -> dict[str, str]:
    return {"hello": task_id}


handler = Mangum(app, lifespan="off")
