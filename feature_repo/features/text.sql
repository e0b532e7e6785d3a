-- Features of a text, from a relation `texts` with a column `text`; every column of `texts` is passed on.
-- The same statement serves a table of millions and a single comment, so that both see the same values.
-- A word is a run of letters, marks and digits with inner apostrophes; any other visible character is a
-- token of its own. Patterns are RE2's, with Unicode classes.
with split as (
    select
        *,
        lower(text) as lowered,
        -- A replacement costs what it finds: without the blanks, what is not a letter is found seldom.
        regexp_replace(replace(text, ' ', ''), '\P{L}+', '', 'g') as letters,
        regexp_extract_all(
            lower(text), '[\p{L}\p{M}\p{N}]+(?:[''’]\p{L}+)*|\S'
        ) as tokens
    from texts
),
pieced as (
    select
        *,
        -- A mark that no token holds keeps the beginning of a word apart from a word of the same letters.
        list_concat(
            tokens,
            list_transform(
                list_filter(tokens, lambda token: strlen(token) > 4 and length(token) > 4),
                lambda token: '^' || token[:4]
            ),
            list_transform(
                list_filter(tokens, lambda token: strlen(token) > 6 and length(token) > 6),
                lambda token: '^' || token[:6]
            )
        ) as pieces
    from split
),
measured as (
    select
        *,
        length(text) as text_chars,
        length(letters) as letter_chars,
        -- Fingerprint: the bytes as a number, modulo a prime, mixed by Knuth's multiplicative constant. Long tokens
        -- enter by their MD5. All of it is arithmetic that no version of DuckDB changes, unlike hash() (decision 0005).
        list_transform(
            pieces,
            lambda piece: (
                (
                    case
                        when strlen(piece) <= 8 then encode(piece)::bit::ubigint
                        else md5_number_lower(piece)
                    end % 4093082899
                ) * 2654435761 >> 16 & 4294967295
            )::uinteger
        ) as all_hashes,
        all_hashes[:len(tokens)] as hashes,
        array_to_string(list_filter(tokens, lambda token: length(token) = 1), '') as singles,
        -- Of tokens of one character, letters and numbers are words; longer ones all are.
        -- Not by a pattern within a lambda, which is compiled anew for each 2,048 rows.
        length(regexp_replace(singles, '[^\p{L}\p{N}]+', '', 'g')) as single_words,
        len(tokens) - length(singles) + single_words as word_count,
        len(
            list_filter(
                tokens,
                lambda token: token in (
                    'the', 'a', 'to', 'and', 'you', 'is', 'of', 'i', 'in', 'it', 'this', 'that', 'for', 'my', 'so', 'on',
                    'was', 'are', 'with', 'but'
                )
            )
        ) as english_words
    from pieced
)
select
    * exclude (
        lowered, letters, tokens, pieces, text_chars, letter_chars, all_hashes, hashes, singles, single_words, word_count,
        english_words
    ),
    text_chars,
    word_count,
    (length(array_to_string(tokens, '')) - length(singles) + single_words) / greatest(word_count, 1) as mean_word_chars,
    (letter_chars - length(regexp_replace(letters, '\p{Lu}+', '', 'g'))) / greatest(letter_chars, 1) as capital_share,
    (text_chars - length(regexp_replace(text, '\p{Nd}+', '', 'g'))) / greatest(text_chars, 1) as digit_share,
    (text_chars - length(regexp_replace(text, '\p{P}+', '', 'g'))) / greatest(text_chars, 1) as punctuation_share,
    text_chars - length(replace(text, '!', '')) as exclamation_count,
    text_chars - length(replace(text, '?', '')) as question_count,
    text_chars - length(
        regexp_replace(text, '[\x{1F1E6}-\x{1F1FF}\x{1F300}-\x{1FAFF}\x{2600}-\x{27BF}\x{2B50}]', '', 'g')
    ) as emoji_count,
    len(regexp_extract_all(text, '(?i)https?://|\bwww\.|<a\s+href')) as url_count,
    len(regexp_extract_all(text, '\b\d{1,2}(?::\d{2}){1,2}\b')) as video_time_count,
    -- RE2 has no back-references, so the letters are spelled out; other scripts rarely stretch this way.
    len(regexp_extract_all(
        lowered,
        'a{3,}|b{3,}|c{3,}|d{3,}|e{3,}|f{3,}|g{3,}|h{3,}|i{3,}|j{3,}|k{3,}|l{3,}|m{3,}|n{3,}|o{3,}|p{3,}|q{3,}'
        || '|r{3,}|s{3,}|t{3,}|u{3,}|v{3,}|w{4,}|x{3,}|y{3,}|z{3,}'
    )) as stretch_count,
    length(regexp_replace(letters, '\p{Latin}+', '', 'g')) / greatest(letter_chars, 1) as non_latin_share,
    english_words / greatest(word_count, 1) as english_word_share,
    -- Words, then pairs of neighbours mixed from the two words' hashes: a pair costs no second hash.
    list_concat(
        list_transform(hashes, lambda h: (h & 1048575)::uinteger),
        list_transform(
            list_zip(hashes[:-2], hashes[2:]),
            lambda pair: ((pair[1]::ubigint * 31 + pair[2]::ubigint * 1000003 + 7) & 1048575)::uinteger
        )
    ) as token_ids_v1,
    -- Beginnings of longer words stand for their stems: forms and spellings of a word meet there.
    list_transform(all_hashes[len(tokens) + 1:], lambda h: (h & 1048575)::uinteger) as prefix_ids_v1
from measured
