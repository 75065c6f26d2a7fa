# Which names the packaged libholdfast has. One rule for ours and for Mbed TLS: public is what a
# public header names and the library defines.
#
#   cmake -D NM=nm -D OWN_ARCHIVES=… -D OWN_HEADERS=… -D OTHERS_ARCHIVES=… -D MBEDTLS_INCLUDE=…
#         -D MBEDTLS_VERSION=… -D OUT=folder -P names.cmake
#
# redefine.txt      for objcopy: every global symbol of other people's libraries, with the prefix
# holdfast_names.h  the same for a compiler that reads Mbed TLS's headers
# exports.map       for the linker: what the shared library exports
cmake_minimum_required(VERSION 3.25)

set(prefix holdfast_)

# Global symbols of `archives`; those of sanitizers begin with an underscore and are left out.
function(defined_symbols archives out)
    execute_process(COMMAND ${NM} -g --defined-only ${archives}
        OUTPUT_VARIABLE listing ERROR_VARIABLE ignored COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL " [A-TV-Z] [A-Za-z][A-Za-z0-9_]*" symbols "${listing}")
    list(TRANSFORM symbols REPLACE "^ . " "")
    list(SORT symbols)
    list(REMOVE_DUPLICATES symbols)
    set(${out} ${symbols} PARENT_SCOPE)
endfunction()

# Those of `symbols` that one of `headers` names.
function(named_in headers symbols out)
    set(words "")
    foreach(header IN LISTS headers)
        file(READ ${header} text)
        string(REGEX MATCHALL "[a-z][a-z0-9]*_[a-z0-9_]+" found "${text}")
        list(APPEND words ${found})
    endforeach()
    foreach(word IN LISTS words)
        set(is_named_${word} TRUE)
    endforeach()
    set(named "")
    foreach(symbol IN LISTS symbols)
        if(is_named_${symbol})
            list(APPEND named ${symbol})
        endif()
    endforeach()
    if(NOT named)
        message(FATAL_ERROR "no public name was found; were the headers given?")
    endif()
    set(${out} ${named} PARENT_SCOPE)
endfunction()

defined_symbols("${OWN_ARCHIVES}" own)
named_in("${OWN_HEADERS}" "${own}" own_public)

defined_symbols("${OTHERS_ARCHIVES}" others)
file(GLOB mbedtls_headers ${MBEDTLS_INCLUDE}/mbedtls/*.h ${MBEDTLS_INCLUDE}/psa/*.h)
named_in("${mbedtls_headers}" "${others}" mbedtls_public)

set(redefine "")
foreach(symbol IN LISTS others)
    string(APPEND redefine "${symbol} ${prefix}${symbol}\n")
endforeach()
file(WRITE ${OUT}/redefine.txt "${redefine}")

set(names "/* Generated: what Mbed TLS's functions are called inside libholdfast, so that no other Mbed TLS\n")
string(APPEND names " * in the same program is mistaken for it. */\n")
string(APPEND names "#ifndef HOLDFAST_NAMES_H\n#define HOLDFAST_NAMES_H\n\n")
foreach(symbol IN LISTS mbedtls_public)
    string(APPEND names "#define ${symbol} ${prefix}${symbol}\n")
endforeach()
string(APPEND names "\n#endif\n")
file(WRITE ${OUT}/holdfast_names.h "${names}")

list(JOIN own_public ";\n    " own_lines)
list(TRANSFORM mbedtls_public PREPEND "${prefix}")
list(JOIN mbedtls_public ";\n    " mbedtls_lines)
set(map "HOLDFAST_0 {\nglobal:\n    ${own_lines};\nlocal:\n    *;\n};\n\n")
string(APPEND map "HOLDFAST_MBEDTLS_${MBEDTLS_VERSION} {\nglobal:\n    ${mbedtls_lines};\n};\n")
file(WRITE ${OUT}/exports.map "${map}")
