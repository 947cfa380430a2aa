"""Looking at messages and counting them, without an effect on what consumers get; deleting single messages."""
