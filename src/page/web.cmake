# The page as web/ bundles it, which is part of the program. web/dist is kept with the sources, so that a
# build needs no Node; tests/page holds it to what the sources give.
espquant_embed(EMBEDDED_WEB HEADER page/embedded_web.h
               FUNCTION espquant::page::embedded_web FILES ${CMAKE_SOURCE_DIR}/web/dist/page.html)
