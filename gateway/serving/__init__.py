"""Ways out for files: by signed URL, whole or in parts."""
