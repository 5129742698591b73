"""Self-contained HTML reports: one page shell and its building blocks."""
