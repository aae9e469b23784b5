"""The address of a database, as PostgreSQL's own programs get it: what SQLAlchemy reads in it."""

import pytest
from sqlalchemy import make_url

from services.store.maintenance.postgres_programs import ProgramFailed, variables

READ = {
    "PGHOST": "host",
    "PGPORT": "port",
    "PGUSER": "username",
    "PGPASSWORD": "password",
    "PGDATABASE": "database",
}


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://textbridge@localhost/textbridge",
        "postgresql+psycopg://u:p%2Fw%40%20%25@Db.Example.com:5433/d",
        "postgresql://u:a#b?c/d[e@localhost:5432/d#e",
        "postgresql://u:p@[2001:db8::1]:5432/d",
        "postgresql:///d",
        "postgresql://u:@h",
    ],
)
def test_the_programs_read_an_address_as_sqlalchemy_does(address: str) -> None:
    url = make_url(address)
    read = {name: str(getattr(url, key) or "") for name, key in READ.items()}
    assert variables(address) == {name: text for name, text in read.items() if text}


def test_the_folder_of_a_socket_in_the_parameters_keeps_its_capitals() -> None:
    read = variables("postgresql://u@/d?host=/Var/run/Postgres&sslmode=require&unknown=1")
    assert read == {
        "PGHOST": "/Var/run/Postgres",
        "PGUSER": "u",
        "PGDATABASE": "d",
        "PGSSLMODE": "require",
    }


@pytest.mark.parametrize(
    "address", ["postgresql://u:s3cret@[::1/d", "postgresql://u:s3cret@h:port/d", "s3cret"]
)
def test_an_address_that_cannot_be_read_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(ProgramFailed, match="cannot be read") as refused:
        variables(address)
    assert "s3cret" not in str(refused.value)
