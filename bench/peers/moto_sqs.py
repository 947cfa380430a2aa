"""moto's SQS server, in memory. Run with the bench's own virtual environment."""

import logging
import sys

from moto.server import main

if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    main(["--host", "127.0.0.1", "--port", sys.argv[1]])
