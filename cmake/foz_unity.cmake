# FOZ_UNITY: several sources of a target are compiled as one, so that what they include is read, and what they instantiate
# is made, once for all of them. A cold build costs much less; what follows a change of one source costs more.
#
# foz_alone(source…): sources that are compiled by themselves all the same, because they name something of their own as
# another source of their target does.
option(FOZ_UNITY "Compile several sources as one" OFF)

set(CMAKE_UNITY_BUILD ${FOZ_UNITY})
set(CMAKE_UNITY_BUILD_BATCH_SIZE 24)

# g++ takes a source that another file includes for a header, in which unnamed namespaces would be a mistake.
if(FOZ_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-subobject-linkage)
endif()

function(foz_alone)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
