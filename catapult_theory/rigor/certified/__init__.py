"""Phase maps in which every box of starts carries a certificate, and their checker."""
