"""How alembic reaches the application database: on the connection, and in the transaction, of whoever asks.

Belongs here: alembic's configuration. Does not belong here: changes of tables (``versions``).
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
