//! A fake endpoint, a raw client and the scenario runner.
