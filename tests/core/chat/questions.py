"""Second questions of conversations, by whether they need the first one to be understood."""

FIRST = {"es": "¿Cuánto mide el faro de Punta Brava?", "en": "How tall is the lighthouse of Punta Brava?"}

LEANING = {
    "es": """¿y en 2019?|¿por qué?|explícame eso|¿y quién lo construyó?|¿cuándo fue eso?|¿y el otro?|dame más detalles
resúmelo|¿puedes traducirlo al inglés?|¿y después?|¿qué pasó entonces?|¿cuánto cuesta?|¿quién lo firmó?
¿cuál es su altura?|¿dónde está?|¿y los demás?|¿cuáles son sus ventajas?|pero ¿es seguro?|más corto, por favor|sigue
¿a qué te refieres con eso?|¿estás seguro?|¿cómo se llamaba ese ingeniero?|¿qué dice sobre ellos?|¿hay otros?
ponlo en una tabla|¿y qué hay de los precios?|¿de quién es?|¿en qué año se encendió?|¿la anterior era mejor?
¿qué otras hay?|¿quién era él?|¿y si llueve?|¿ese dato de dónde sale?|amplía la segunda|¿por qué dices eso?
¿qué más se sabe?|¿desde cuándo?|¿y cuántas tiene?|compáralos|¿se puede visitar?|¿cuál de los dos es mayor?""",
    "en": """and in 2019?|why?|explain that|who built it?|when was that?|and the other one?|give me more details
summarize it|can you translate it into Spanish?|and then?|what happened next?|how much does it cost?|who signed it?
what is its height?|where is it?|what about the others?|what are their advantages?|but is it safe?
shorter, please|go on|what do you mean by that?|are you sure?|what was his name?|what does it say about them?
are there others?|put it in a table|what about prices?|whose is it?|when was it lit?|was the former better?
which one is larger?|who was he?|and if it rains?|where does that figure come from?|expand on the second one
why do you say that?|what else is known?|since when?|how many does it have?|compare them|tell me more|how come?""",
}
ALONE = {
    "es": """¿Qué altura tiene la torre de Hércules?|¿Quién firmó el contrato de alquiler de la oficina?
¿Cuándo se fundó la Universidad de Salamanca?|¿Cuántos días de vacaciones tienen los empleados?
Resume el capítulo tercero del manual de usuario|¿Qué es la fotosíntesis?
¿Cuál es la capital de Australia?|¿Por qué se hundió el Titanic?|¿Cómo se cultivan los tomates?
Explica la diferencia entre TCP y UDP|¿Dónde nació Cervantes y quiénes fueron sus padres?
¿Qué dice el informe sobre los ingresos de 2023?|Lista los miembros del consejo de administración
¿Cuánto cuesta el seguro del coche?|¿Qué pasos hay que seguir para reclamar una factura?
¿Qué obligaciones tiene el arrendatario según este contrato?|¿Cuáles son los síntomas de la gripe?
¿En qué año llegó Colón a América?|¿Qué porcentaje de la población habla catalán?
¿Quién escribió La Celestina y en qué época la escribió?|Traduce al inglés la cláusula quinta del contrato
¿Se permite fumar en la terraza del restaurante?|¿Qué temperatura alcanza el horno de leña?
¿Cuál es la diferencia entre los dos modelos de lavadora?|¿Hay multas por devolver tarde los libros?
¿Qué dicen los documentos sobre el cambio climático?|¿Cómo instalo la impresora en Windows?
¿Qué hizo Napoleón antes de su coronación?|¿Cuántas proteínas tiene un huevo cocido?
¿Quién es el director de la película Volver?|Dime las fechas de los exámenes de septiembre
¿Qué papel tuvo la prensa en la guerra de Cuba?|¿Es obligatorio llevar casco en bicicleta?
¿Qué ventajas ofrece la energía solar frente a la eólica?|¿Cuándo vence el alquiler?|¿Qué es el IVA?
¿Dónde guardo las copias de seguridad?|¿Cómo se calcula la indemnización por despido?
¿Qué motor lleva el Seat 600?|Explícame la segunda ley de la termodinámica
¿Qué es lo que más contamina en una ciudad?|¿Cuánto dura la garantía del frigorífico?""",
    "en": """How tall is the Eiffel Tower?
Who signed the lease of the office?|When was the University of Oxford founded?
How many days of holiday do employees have?|Summarize chapter three of the user manual|What is photosynthesis?
What is the capital of Australia?|Why did the Titanic sink?|How are tomatoes grown?
Explain the difference between TCP and UDP|Where was Shakespeare born and who were his parents?
What does the report say about revenue in 2023?|List the members of the board of directors
How much does car insurance cost?|What steps must be followed to dispute an invoice?
What are the tenant's obligations under this contract?|What are the symptoms of influenza?
In what year did Columbus reach America?|What percentage of the population speaks Welsh?
Who wrote Hamlet and when did he write it?|Translate clause five of the contract into Spanish
Is smoking allowed on the terrace of the restaurant?|What temperature does the oven reach?
What is the difference between the two washing machines?|Are there fines for returning books late?
What do the documents say about climate change?|How do I install the printer on Windows?
What did Napoleon do before his coronation?|How much protein is there in a boiled egg?
Who is the director of the film that won the award in 2003?|Tell me the dates of the September exams
Which laws did the parliament pass that year in Scotland?|Is it mandatory to wear a helmet on a bicycle?
What advantages does solar energy have over wind power?|When is the rent due?|What is VAT?
Where do I keep the backups?|How is severance pay calculated?|What engine does the Mini Cooper have?
Explain the second law of thermodynamics|What pollutes a city the most?|How long is the fridge's warranty?""",
}


def split(text: str) -> list[str]:
    return [question.strip() for question in text.replace("\n", "|").split("|") if question.strip()]
