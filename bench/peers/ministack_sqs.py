"""MiniStack's SQS, in memory, under hypercorn as it comes. Run with a virtual environment made from ministack.lock."""

import asyncio
import os
import sys

os.environ["LOG_LEVEL"] = "ERROR"

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app

if __name__ == "__main__":
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.keep_alive_timeout = 75
    config.loglevel = "ERROR"
    asyncio.run(serve(app, config))
