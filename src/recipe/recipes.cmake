# The recipes that are part of the program, in the order in which `espquant recipes` lists them.
set(recipe_files int8 mixed balanced finetune w8a16 int16 dynamic)
list(TRANSFORM recipe_files REPLACE "(.+)" "${CMAKE_SOURCE_DIR}/recipes/\\1.toml")
espquant_embed(EMBEDDED_RECIPES HEADER recipe/embedded_recipes.h
               FUNCTION espquant::recipe::embedded_recipes FILES ${recipe_files})
