//! HashiCorp's go-plugin protocol, for hosts and for plugins, with nothing of Vault in it.
