-- Features of a text, from a relation `texts` with a column `text`; every column of `texts` is passed on.
-- The same statement serves a table of millions and a single comment, so that both see the same values.
-- A word is a run of letters, marks and digits with inner apostrophes; any other visible character is a
-- token of its own. Patterns are RE2's, with Unicode classes.
with measured as (
    select
        *,
        length(text) as text_chars,
        length(text) - length(regexp_replace(text, '\p{L}+', '', 'g')) as letter_chars,
        length(text) - length(regexp_replace(text, '\p{Lu}+', '', 'g')) as capital_chars,
        length(text) - length(regexp_replace(text, '\p{Latin}+', '', 'g')) as latin_chars,
        length(text) - length(regexp_replace(text, '\p{Nd}+', '', 'g')) as digit_chars,
        length(text) - length(regexp_replace(text, '\p{P}+', '', 'g')) as punctuation_chars,
        regexp_extract_all(
            lower(text), '[\p{L}\p{M}\p{N}]+(?:[''’]\p{L}+)*|[^\s\p{L}\p{M}\p{N}]'
        ) as tokens
    from texts
),
hashed as (
    -- MD5 is the same in every version of DuckDB, which hash() is not (decision 0005).
    select
        *,
        list_transform(tokens, lambda token: (md5_number_lower(token) & 4294967295)::uinteger) as hashes,
        list_filter(tokens, lambda token: regexp_matches(token, '[\p{L}\p{N}]')) as words
    from measured
)
select
    * exclude (
        text_chars, letter_chars, capital_chars, latin_chars, digit_chars, punctuation_chars, tokens, hashes, words
    ),
    text_chars,
    len(words) as word_count,
    coalesce(list_avg(list_transform(words, lambda word: length(word))), 0.0) as mean_word_chars,
    capital_chars / greatest(letter_chars, 1) as capital_share,
    digit_chars / greatest(text_chars, 1) as digit_share,
    punctuation_chars / greatest(text_chars, 1) as punctuation_share,
    length(text) - length(replace(text, '!', '')) as exclamation_count,
    length(text) - length(replace(text, '?', '')) as question_count,
    length(text) - length(
        regexp_replace(text, '[\x{1F1E6}-\x{1F1FF}\x{1F300}-\x{1FAFF}\x{2600}-\x{27BF}\x{2B50}]', '', 'g')
    ) as emoji_count,
    len(regexp_extract_all(text, '(?i)https?://|\bwww\.|<a\s+href')) as url_count,
    len(regexp_extract_all(text, '\b\d{1,2}(?::\d{2}){1,2}\b')) as video_time_count,
    -- RE2 has no back-references, so the letters are spelled out; other scripts rarely stretch this way.
    len(regexp_extract_all(
        lower(text),
        'a{3,}|b{3,}|c{3,}|d{3,}|e{3,}|f{3,}|g{3,}|h{3,}|i{3,}|j{3,}|k{3,}|l{3,}|m{3,}|n{3,}|o{3,}|p{3,}|q{3,}'
        || '|r{3,}|s{3,}|t{3,}|u{3,}|v{3,}|w{4,}|x{3,}|y{3,}|z{3,}'
    )) as stretch_count,
    (letter_chars - latin_chars) / greatest(letter_chars, 1) as non_latin_share,
    -- Words, then pairs of neighbours mixed from the two words' hashes: a pair costs no second MD5.
    list_concat(
        list_transform(hashes, lambda h: (h & 1048575)::uinteger),
        list_transform(
            list_zip(hashes[:-2], hashes[2:]),
            lambda pair: ((pair[1]::ubigint * 31 + pair[2]::ubigint * 1000003 + 7) & 1048575)::uinteger
        )
    ) as token_ids_v1
from hashed
