-- How told texts become values. Every macro gives null for what is not told or cannot be read.

create macro is_blank(told) as regexp_full_match(told, '[\s\pZ\x{FEFF}\x{200B}-\x{200D}\x{2060}]*');

-- `trim` alone is ten times as slow, and hardly any text needs it.
create macro strip(told) as
    case
        when regexp_matches(told, '^[\s\pZ\x{FEFF}]|[\s\pZ\x{FEFF}]$')
        then regexp_replace(told, '^[\s\pZ\x{FEFF}]+|[\s\pZ\x{FEFF}]+$', '', 'g')
        else told
    end;

create macro tell_as_seen(told) as case when not is_blank(told) then told end;

create macro tell(told) as strip(tell_as_seen(told));

create macro tell_unless(told, null_values) as case when not list_contains(null_values, strip(told)) then told end;

-- Netstrings, so that no two different lists of texts are hashed alike.
create macro tell_hash(told) as
    case
        when list_aggregate(told, 'count') > 0
        then sha256(array_to_string(list_transform(told, lambda part: coalesce(strlen(part) || ':' || part, '-')), ','))[:32]
    end;

create macro read_whole(told) as
    case
        when regexp_full_match(told, '[+-]?[0-9]{1,30}(\.0*)?')
        then try_cast(regexp_extract(told, '^[^.]+') as bigint)
    end;

create macro read_boolean(told) as
    case lower(told) when 'true' then true when '1' then true when 'false' then false when '0' then false end;

create macro read_value(told, codes, meanings) as coalesce(meanings[list_position(codes, told)], told);

create macro has_zone(told) as regexp_matches(told, ':\d{2}(\.\d{1,9})?(Z|[+-]\d{2}(:?\d{2})?)$');

create macro is_iso(told) as
    regexp_full_match(
        told,
        '\d{4}-\d{2}-\d{2}([T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?)?'
    );

create macro read_iso_local(told) as case when is_iso(told) and not has_zone(told) then try_cast(told as timestamp) end;

create macro read_iso_zoned(told) as case when is_iso(told) and has_zone(told) then try_cast(told as timestamptz) end;

-- A date that is not written as its format writes it has been read as something else before.
create macro read_local(told, format) as
    case when strftime(try_strptime(told, format), format) = told then try_strptime(told, format) end;
