"""How the corpus is run: environments, servers, audits, and what is shown of them."""
