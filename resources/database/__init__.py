"""The application database: rows that people and processes write (DESIGN §5).

Belongs here: connections, tables, migrations. Does not belong here: what a row means (``neurovision_assets``). SQLite
in the data home by default, any SQLAlchemy URL by ``NEUROVISION_DATABASE_URL``.
"""
