"""Who may go, and why not: jurisdictions, agreements, eligibility, vocabulary, ledger."""
