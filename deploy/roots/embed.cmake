# Turn the tables of this folder into a C array (struct hf_known_table, server/repository/certs/known_roots.h).
#
#   cmake -D FOLDER=deploy/roots -D OUT=….c -P embed.cmake
cmake_minimum_required(VERSION 3.25)

file(GLOB files LIST_DIRECTORIES false ${FOLDER}/*.txt)
list(SORT files)
set(rows "")
foreach(file IN LISTS files)
    cmake_path(GET file STEM name)
    file(READ ${file} table)
    string(REPLACE "\\" "\\\\" table "${table}")
    string(REPLACE "\"" "\\\"" table "${table}")
    string(REPLACE "\n" "\\n\"\n     \"" table "${table}")
    string(APPEND rows "    {\"${name}\",\n     \"${table}\"},\n")
endforeach()

set(text "/* Generated from deploy/roots by embed.cmake. */\n")
string(APPEND text "#include \"server/repository/certs/known_roots.h\"\n\n")
string(APPEND text "const struct hf_known_table hf_known_tables[] = {\n${rows}};\n")
string(APPEND text "const size_t hf_known_tables_len = sizeof(hf_known_tables) / sizeof(hf_known_tables[0]);\n")
file(WRITE ${OUT} "${text}")
