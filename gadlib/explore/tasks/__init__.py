"""What the page starts in processes of their own, and what comes back: no widget is known here."""
