"""The semantic service: built graphs and bundles over HTTP, and a client for it (`kgzsl serve`)."""
