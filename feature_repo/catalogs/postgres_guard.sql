-- Every commit of DuckLake is a new snapshot, and giving one up is a deletion.
create trigger check_writer before insert or delete on ducklake_snapshot
    for each statement execute function scorelake.check_writer();
