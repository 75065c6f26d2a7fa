# Join archives into OUT/libholdfast.a, with the names of REDEFINE, and into OUT/holdfast.o, of which
# the shared library is linked.
#
#   cmake -D AR=ar -D OBJCOPY=objcopy -D CC=cc -D ARCHIVES=… -D REDEFINE=redefine.txt -D OUT=folder
#         -P archive.cmake
cmake_minimum_required(VERSION 3.25)

function(run)
    execute_process(COMMAND ${ARGV} WORKING_DIRECTORY ${OUT} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# ar's script language knows no quotes, so it gets plain names, relative to OUT.
set(script "CREATE joined.a\n")
set(parts "")
set(number 0)
foreach(archive IN LISTS ARCHIVES)
    set(part part-${number}.a)
    run(${OBJCOPY} --redefine-syms=${REDEFINE} ${archive} ${part})
    string(APPEND script "ADDLIB ${part}\n")
    list(APPEND parts ${OUT}/${part})
    math(EXPR number "${number} + 1")
endforeach()
string(APPEND script "SAVE\nEND\n")
file(WRITE ${OUT}/join.mri "${script}")
file(REMOVE ${OUT}/joined.a)
execute_process(COMMAND ${AR} -M WORKING_DIRECTORY ${OUT} INPUT_FILE ${OUT}/join.mri
    COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE ${parts} ${OUT}/join.mri)

run(${CC} -r -nostdlib -o holdfast.o -Wl,--whole-archive joined.a)
file(RENAME ${OUT}/joined.a ${OUT}/libholdfast.a)
