"""Results for other programs: xyz, extxyz, Molden and tables, from any result file."""
