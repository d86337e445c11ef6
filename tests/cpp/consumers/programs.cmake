# The programs of a consumer project: in C++ and in C, each with the shared library and with the archive, as far as
# the package has them.
foreach(library IN ITEMS phc phc_static)
  if(NOT TARGET phc::${library})
    continue()
  endif()
  add_executable(with_${library} ${CMAKE_CURRENT_LIST_DIR}/main.cpp)
  target_compile_features(with_${library} PRIVATE cxx_std_17)
  target_compile_definitions(with_${library} PRIVATE CONSUMER="${PROJECT_NAME}")
  target_link_libraries(with_${library} PRIVATE phc::${library})
  add_executable(c_with_${library} ${CMAKE_CURRENT_LIST_DIR}/main.c)
  target_link_libraries(c_with_${library} PRIVATE phc::${library})
endforeach()
