-- The statistics of some columns of a table, with those of their elements.
delete from __ducklake_metadata_lake.ducklake_table_column_stats as stats
using (
    select
        columns.table_id,
        columns.column_id
    from __ducklake_metadata_lake.ducklake_column as columns
    join __ducklake_metadata_lake.ducklake_column as owners -- many to one, once per version of the column
        on owners.table_id = columns.table_id
        and owners.column_id = coalesce(columns.parent_column, columns.column_id)
    join __ducklake_metadata_lake.ducklake_table as tables -- many to one, once per version of the table
        on tables.table_id = columns.table_id
    join __ducklake_metadata_lake.ducklake_schema as schemas -- many to one
        on schemas.schema_id = tables.schema_id
    where schemas.schema_name = $schema
        and tables.table_name = $table
        and list_contains($columns, owners.column_name)
) as forgotten
where stats.table_id = forgotten.table_id
    and stats.column_id = forgotten.column_id
