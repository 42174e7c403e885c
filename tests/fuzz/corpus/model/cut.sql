--! projection p 1
/* open ÿ