"""What puts right: replays and corrected rows, files that fail again and again, bytes judged once more, the journal of a lost ledger."""
