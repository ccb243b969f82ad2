"""A Kubernetes cluster as it is spoken to: found, asked, watched, and reached into."""
