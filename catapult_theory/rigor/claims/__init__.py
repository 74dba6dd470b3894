"""Claims about one step of training: read, judged by exact algebra, or refuted."""
