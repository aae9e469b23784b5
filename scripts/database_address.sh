# Reads the address of the database from a file of variables; sourced by scripts for upgrades.

env_value() { # FILE NAME
  sed -n "s/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}$2[[:space:]]*=[[:space:]]*//p" "$1" | tail -n 1 |
    sed -e "s/^'\([^']*\)'.*/\1/" -e t -e 's/^"\([^"]*\)".*/\1/' -e t -e 's/[[:space:]]\{1,\}#.*//' -e 's/[[:space:]]*$//'
}

database_address() { # FILE: PostgreSQL's; empty: SQLite in the storage folder
  address=$(env_value "$1" DATABASE_URL)
  address_file=$(env_value "$1" DATABASE_URL_FILE)
  [ -n "$address" ] || [ -z "$address_file" ] || address=$(cat "$address_file")
  case $address in postgres*://*) echo "$address" ;; esac # others such as “null”
}
