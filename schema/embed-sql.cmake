# Turn the numbered migrations of a folder into a C array (struct hf_migration, db.h).
#
#   cmake -D FOLDER=schema/client-migrations -D SYMBOL=hf_client_migrations -D HEADER=… -D OUT=….c
#         -P embed-sql.cmake
cmake_minimum_required(VERSION 3.25)

file(GLOB files LIST_DIRECTORIES false ${FOLDER}/*.sql)
list(SORT files)

set(rows "")
set(expected 0)
foreach(file IN LISTS files)
    cmake_path(GET file STEM name)
    if(NOT name MATCHES "^0*([1-9][0-9]*)-[a-z0-9-]+$")
        message(FATAL_ERROR "${file}: a migration is named NNNN-subject.sql")
    endif()
    set(number ${CMAKE_MATCH_1})
    math(EXPR expected "${expected} + 1")
    if(NOT number EQUAL expected)
        message(FATAL_ERROR "${file}: migration ${expected} is missing before it")
    endif()

    file(READ ${file} sql)
    string(REPLACE "\\" "\\\\" sql "${sql}")
    string(REPLACE "\"" "\\\"" sql "${sql}")
    string(REPLACE "\n" "\\n\"\n     \"" sql "${sql}")
    string(APPEND rows "    {${number}, \"${name}\",\n     \"${sql}\"},\n")
endforeach()

set(text "/* Generated from ${FOLDER} by embed-sql.cmake. */\n")
string(APPEND text "#include \"${HEADER}\"\n\n")
string(APPEND text "const struct hf_migration ${SYMBOL}[] = {\n${rows}};\n")
string(APPEND text "const size_t ${SYMBOL}_len = sizeof(${SYMBOL}) / sizeof(${SYMBOL}[0]);\n")
file(WRITE ${OUT} "${text}")
