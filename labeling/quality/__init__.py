"""How good labels are, and how sure one can be of it: agreement, reliability, consensus, bias."""
