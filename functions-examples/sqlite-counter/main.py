import sqlite3


def handler(event, context):
    """Adds `by` to the counter `name`. Opened in the call: the volume is that of the call."""
    name, by = event.get("name", "visits"), int(event.get("by", 1))
    database = sqlite3.connect("/data/counter.db")
    try:
        with database:
            database.execute("create table if not exists counters (name text primary key, value integer not null)")
            database.execute(
                "insert into counters values (?, ?) on conflict (name) do update set value = value + excluded.value",
                (name, by),
            )
        if event.get("fail"):
            raise RuntimeError("after SQLite's commit: the volume forgets it all the same")
        return {"name": name, "value": database.execute("select value from counters where name = ?", (name,)).fetchone()[0]}
    finally:
        database.close()
